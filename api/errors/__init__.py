"""Every error that the API answers with: the tree of problems, their codes, the handler of exceptions."""
