"""How many of the listed subjects beside the focus list are known when the model paints them.

    python benchmarks/all_subjects.py [MODEL]

A judge of every listed subject is fitted to real drawings in eight looks, plain and softened, as
`train.measure` does for the focus list. Asked is each subject beside that list once, by its label
in one of its drawn looks, in 6 steps. The first row is of real drawings that the judge never saw.
"""

import sys
from pathlib import Path

import numpy as np

from sfumato.engine import Engine
from sfumato.request import Request
from sfumato.train.captions import focus_subjects, plain
from sfumato.train.measure.features import Looked, find_eye
from sfumato.train.measure.figures import share
from sfumato.train.measure.hands import FOLDS, HANDS, fold_of
from sfumato.train.measure.judges import STRENGTHS, fit
from sfumato.train.measure.paint import Settings, paint
from sfumato.train.measure.soften import soften
from sfumato.train.scenes import SceneConfig, Scenes

PACK = Path("data/emoji.zip")
LOOKS = ("3d", "flat", "cartoon", "line art", "sticker")


def main() -> None:
    every = dict.fromkeys((*HANDS, *LOOKS), 1.0)
    real = Scenes(PACK, SceneConfig(focus=False, styles=tuple(every.items())))
    eye = find_eye()
    cells = real.cells()
    places = {code: i for i, code in enumerate(real.subjects)}
    folds = np.array([fold_of(look, places[code]) for code, look in cells])
    parts: list[Looked] = []
    for first in range(0, len(cells), 256):
        drawn = [real.cell(*cell).picture for cell in cells[first : first + 256]]
        soft = [
            soften(picture, np.random.default_rng([17, first + i]))
            for i, picture in enumerate(drawn)
        ]
        parts += [eye.look(np.stack(drawn)), eye.look(np.stack(soft))]
    plainly, softly = Looked.join(parts[::2]).shown, Looked.join(parts[1::2]).shown
    names = [code for code, _ in cells]
    judge, *without = fit(
        np.concatenate([plainly, softly]),
        names * 2,
        np.concatenate([folds, folds]),
        STRENGTHS["subject"],
    )
    focus = focus_subjects()
    mine = np.array([code not in focus and look in LOOKS for code, look in cells])
    ranks = np.concatenate(
        [
            without[fold].place(plainly[own], [names[i] for i in own])
            for fold in range(FOLDS)
            if len(own := np.flatnonzero(mine & (folds == fold)))
        ]
    )
    _say("real drawings, unseen", ranks)
    rng = np.random.default_rng(5)
    shown = Scenes(PACK, SceneConfig(focus=False, styles=tuple((look, 1.0) for look in LOOKS)))
    by_subject: dict[str, list[str]] = {}
    for code, look in shown.cells():
        by_subject.setdefault(code, []).append(look)
    asked = [
        (code, looks[int(rng.random() * len(looks))])
        for code, looks in by_subject.items()
        if code not in focus
    ]
    run = Engine("cpu", "fp32", model=sys.argv[1] if len(sys.argv) > 1 else "mini")
    model = next(iter(run.submit(Request("", seed=1, steps=1)))).model
    prompts = [(plain(shown.told(*cell), shown.subjects), i) for i, cell in enumerate(asked, 1)]
    pictures = paint(model, prompts, Settings(6, model.spec.defaults.guidance))
    _say("painted", judge.place(eye.look(pictures).shown, [code for code, _ in asked]))


def _say(what: str, ranks: np.ndarray) -> None:
    one, five = (share([bool(r <= top) for r in ranks], None) for top in (1, 5))
    told = f"top 1 {one.percent:.1f} +- {one.within:.1f} %, top 5 {five.percent:.1f} %"
    print(f"{what}: {len(ranks)}, {told}", flush=True)


if __name__ == "__main__":
    main()
