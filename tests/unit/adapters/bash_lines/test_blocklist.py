"""The block list: names, argument shapes, words and flags."""

from twisted.trial.unittest import SynchronousTestCase

from txcrush.adapters.bash_lines import BANNED_NAMES, BANNED_SHAPES, blocked_by
from txcrush.adapters.bash_lines.blocklist import fits, split_arguments


class BlockList(SynchronousTestCase):
    def test_every_banned_name_is_blocked_with_and_without_arguments(self) -> None:
        self.assertEqual(len(BANNED_NAMES), len(set(BANNED_NAMES)))
        for name in BANNED_NAMES:
            self.assertEqual((blocked_by([name]), blocked_by([name, "x"])), (name, name))

    def test_every_banned_shape_blocks_its_own_words(self) -> None:
        for shape in BANNED_SHAPES:
            self.assertEqual(blocked_by([shape.program, *shape.words, *shape.flags]), shape.program)

    def test_t_blk_01_argument_shapes(self) -> None:
        for line in (
            "npm install -g x",
            "npm install x -g",
            "npm install --global x",
            "pip install --user --upgrade x",
            "pip3 install --user x",
            "yarn global add x",
            "pacman -S x",
            "go test -exec bash ./...",
            "go test -exec=bash",
            "brew install x",
            "pnpm add -g x",
        ):
            argv = line.split()
            self.assertEqual(blocked_by(argv), argv[0], line)

    def test_t_blk_02_what_is_allowed(self) -> None:
        for line in (
            "npm install x",
            "npm list",
            "npm",
            "yarn install x",
            "yarn global list",
            "brew list",
            "",
            "CURL x",
            "/usr/bin/curl x",
            "go test ./...",
            "pip install x",
        ):
            self.assertEqual(blocked_by(line.split()), "", line)

    def test_t_blk_02_no_shape_fits_a_query_of_pacman_whose_name_is_banned(self) -> None:
        self.assertFalse(any(fits(shape, ["pacman", "-Q", "x"]) for shape in BANNED_SHAPES))
        self.assertEqual(blocked_by(["pacman", "-Q", "x"]), "pacman")

    def test_t_blk_03_flags_are_cut_at_the_equals_sign(self) -> None:
        self.assertEqual(
            split_arguments(["-exec=bash", "--config=/x", "a", "b=c"]), (["a", "b=c"], {"-exec", "--config"})
        )
