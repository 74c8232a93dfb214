"""Commands of reads: which side answers, why, and the ramp as a file."""
