"""Steps that several resources take alike: registration, quotas, removal, waiting, architectures by name."""
