"""canary.yaml: what stands in it, whether it can work, and what each of its steps needs."""
