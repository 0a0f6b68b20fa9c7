"""The words of the miniature world: what can be named in a prompt, and what each name means."""

import zlib

__all__ = [
    "CHARACTER",
    "COLOURS",
    "LANDSCAPES",
    "NO_ARTICLE",
    "OBJECTS",
    "POSITIONS",
    "SHAPES",
    "SHIRTS",
    "STYLES",
    "is_held_out",
]

OBJECTS: dict[str, str] = {
    # name in captions: label in emojibase-data
    "cat": "cat face", "dog": "dog face", "fox": "fox", "lion": "lion", "tiger": "tiger face", "unicorn": "unicorn",
    "cow": "cow face", "pig": "pig face", "mouse": "mouse face", "rabbit": "rabbit face", "bear": "bear",
    "panda": "panda", "koala": "koala", "monkey": "monkey face", "frog": "frog", "elephant": "elephant",
    "giraffe": "giraffe", "penguin": "penguin", "owl": "owl", "duck": "duck", "flamingo": "flamingo",
    "turtle": "turtle", "snake": "snake", "whale": "spouting whale", "fish": "tropical fish", "octopus": "octopus",
    "crab": "crab", "snail": "snail", "butterfly": "butterfly", "bee": "honeybee", "ladybug": "lady beetle",
    "rose": "rose", "sunflower": "sunflower", "tulip": "tulip", "cactus": "cactus", "palm tree": "palm tree",
    "pine tree": "evergreen tree", "maple leaf": "maple leaf", "clover": "four leaf clover", "mushroom": "mushroom",
    "grapes": "grapes", "watermelon": "watermelon", "lemon": "lemon", "banana": "banana", "pineapple": "pineapple",
    "apple": "red apple", "pear": "pear", "cherries": "cherries", "strawberry": "strawberry", "avocado": "avocado",
    "eggplant": "eggplant", "carrot": "carrot", "corn": "ear of corn", "broccoli": "broccoli", "bread": "bread",
    "croissant": "croissant", "cheese": "cheese wedge", "hamburger": "hamburger", "french fries": "french fries",
    "pizza": "pizza", "taco": "taco", "ice cream": "soft ice cream", "donut": "doughnut",
    "birthday cake": "birthday cake", "lollipop": "lollipop", "coffee": "hot beverage", "volcano": "volcano",
    "house": "house", "castle": "castle", "bus": "bus", "car": "automobile", "tractor": "tractor",
    "bicycle": "bicycle", "sailboat": "sailboat", "airplane": "airplane", "rocket": "rocket", "ufo": "flying saucer",
    "moon": "crescent moon", "sun": "sun", "planet": "ringed planet", "rainbow": "rainbow", "umbrella": "umbrella",
    "snowman": "snowman without snow", "fire": "fire", "balloon": "balloon", "gift": "wrapped gift",
    "trophy": "trophy", "soccer ball": "soccer ball", "basketball": "basketball", "teddy bear": "teddy bear",
    "crown": "crown", "top hat": "top hat", "dress": "dress", "guitar": "guitar", "drum": "drum",
    "light bulb": "light bulb", "candle": "candle", "key": "old key", "hammer": "hammer", "bomb": "bomb",
    "skull": "skull", "ghost": "ghost", "robot": "robot", "heart": "red heart",
}  # fmt: skip
"""The 104 objects of the world."""

CHARACTER = "raccoon"
"""Whom only a LoRA knows: its word in captions, and its label in emojibase-data."""

NO_ARTICLE = frozenset({"grapes", "cherries", "french fries", "bread", "cheese", "coffee", "broccoli", "corn", "fire"})

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (214, 40, 40), "orange": (250, 140, 30), "yellow": (252, 220, 50), "green": (50, 160, 70),
    "blue": (40, 90, 210), "purple": (125, 55, 175), "pink": (250, 150, 190), "brown": (125, 80, 45),
    "black": (18, 18, 20), "white": (250, 250, 250), "gray": (140, 142, 145), "cyan": (70, 210, 225),
}  # fmt: skip

SHAPES = ("circle", "square", "triangle", "star")
SHIRTS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "cyan")

LANDSCAPES: dict[str, str] = {
    "night sky": "in the night sky",
    "meadow": "in a meadow",
    "beach": "at the beach",
    "snow": "in the snow",
    "desert": "in the desert",
}
POSITIONS = ("left", "right", "top", "bottom")
STYLES = ("pixel art", "pencil sketch", "grayscale", "watercolor")


def is_held_out(thing: str, background: str) -> bool:
    """True for the tenth of all pairs of a thing and a background colour that no training scene shows."""
    return background in COLOURS and zlib.crc32(f"{thing}|{background}".encode()) % 10 == 0
