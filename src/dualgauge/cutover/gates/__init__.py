"""What opens a move forward: inputs, which evidence is valid, the decision."""
