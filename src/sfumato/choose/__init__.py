"""What artists choose with: sheets, ladders of steps, verifying, and why two pictures differ.

Values in, values out: nothing here knows a terminal, a server, an engine or torch. Whoever makes
pictures takes a plan's requests one by one and hands the pictures back.
"""

from sfumato.choose.axes import Axis, parse_axis
from sfumato.choose.sheet import Cell, Sheet, draw_sheet, plan_sheet, same_sheet

__all__ = ["Axis", "Cell", "Sheet", "draw_sheet", "parse_axis", "plan_sheet", "same_sheet"]
