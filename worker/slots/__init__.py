"""The threads of one worker: slots that claim jobs, the inspection thread, housekeeping and tidying."""
