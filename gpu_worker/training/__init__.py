"""Training a LoRA: torch, peft and LyCORIS. `gpu_worker.training.trainer.train` is the way in."""
