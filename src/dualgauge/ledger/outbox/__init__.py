"""What is told to people, and whether it arrived: written with the change of state that it tells of."""
