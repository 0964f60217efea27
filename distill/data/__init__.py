"""What every modality reads with: tables and members within limits, splits, strata and plans of batches."""
