"""What tasks on texts share: language models in Hugging Face folders, tokenised samples. Needs transformers."""
