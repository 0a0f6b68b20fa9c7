"""Pictures whose structure a drawing follows: ControlNet (Zhang, Rao, Agrawala, 2023) and relatives, behaviours §17."""
