"""What training a LoRA means, in numbers and words: kohya-ss/sd-scripts' rules (behaviours §24) and the dataset tag
editor's (§25), with nothing of torch."""
