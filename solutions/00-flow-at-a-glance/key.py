"""Chapter 0's key: one exercise to practise on, for no points."""

from autograde.exercises import Misconception, Numeric

patches_a_side = Numeric(
    "patches-a-side", title="Your first tick", points=0, difficulty=1, minutes=1,
    prompt="The small picture is 32 pixels wide, and each of its patches is 4 pixels wide. How many patches lie "
    "side by side along its top edge?",
    answer=8, unit="patches",
    misconceptions=[
        Misconception("the whole grid", 64,
            "That is how many patches the whole grid has. The question is about one row of it."),
        Misconception("counted CLS", 9, "One too many: CLS is not a patch, and lies in no row of the grid."),
        Misconception("gave the side of a patch", 4,
            "That is how many pixels wide a patch is, not how many patches there are."),
        Misconception("multiplied", 128, "You multiplied. How often do 4 pixels fit into 32?"),
        Misconception("subtracted", 28, "You took one patch away. Go on: how often can you, until nothing is left?"),
    ],
    hints=["How often do 4 pixels fit into 32 pixels?"],
    why="4 pixels to a patch: 32 / 4 = 8 patches side by side.",
)
