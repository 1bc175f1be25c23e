"""The judgement of bash command lines: what may run unasked, what is remembered, what is refused.

`docs/design/commands.md` argues every choice. Everything here is pure but `reach`, which looks at the disk.
"""

from txcrush.adapters.bash_lines.blocklist import BANNED_NAMES, BANNED_SHAPES, Shape, blocked_by
from txcrush.adapters.bash_lines.judgement import Judgement, judge
from txcrush.adapters.bash_lines.reach import Reach, leads_out

__all__ = ["BANNED_NAMES", "BANNED_SHAPES", "Judgement", "Reach", "Shape", "blocked_by", "judge", "leads_out"]
