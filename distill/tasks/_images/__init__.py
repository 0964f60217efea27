"""What tasks on pictures share: networks by library and name, weights as one safetensors file."""
