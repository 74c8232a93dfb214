"""What people are told, through which channels, and how it is sent: below the cutover, above the ledger."""
