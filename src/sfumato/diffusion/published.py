"""Noise levels that others found by optimisation and published, as numbers.

Each row is for one model and runs from pure noise to the lowest level, which the last step replaces
by 0: eleven levels are ten steps.
"""

from collections.abc import Mapping

ALIGN_YOUR_STEPS: Mapping[str, tuple[float, ...]] = {
    "sd1": (
        *(14.6146412293, 6.4745760956, 3.8636745985, 2.6946151520, 1.8841921177, 1.3943805092),
        *(0.9642583904, 0.6523686016, 0.3977456272, 0.1515232662, 0.0291671582),
    ),
    "sdxl": (
        *(14.6146412293, 6.3184485287, 3.7681790315, 2.1811480769, 1.3405244945, 0.8620721141),
        *(0.5550693289, 0.3798540708, 0.2332364134, 0.1114188177, 0.0291671582),
    ),
    "svd": (700.0, 54.5, 15.886, 7.977, 4.248, 1.789, 0.981, 0.403, 0.173, 0.034, 0.002),
}
"""Sabour et al. 2024 (arXiv:2404.14507), sigmas from NVIDIA's how-to page for the paper."""

GITS = (
    (29,),
    (49, 18),
    (61, 33, 11),
    (66, 42, 21, 6),
    (83, 57, 34, 15, 3),
    (83, 62, 42, 23, 8, 1),
    (83, 62, 45, 29, 15, 6, 1),
    (83, 66, 50, 34, 21, 11, 4, 1),
    (83, 66, 51, 38, 27, 17, 9, 4, 1),
    (83, 67, 54, 42, 30, 21, 13, 7, 3, 1),
    (83, 68, 56, 45, 34, 25, 17, 11, 6, 3, 1),
    (86, 71, 61, 49, 38, 29, 21, 15, 10, 6, 3, 1),
    (86, 71, 62, 50, 40, 31, 23, 17, 12, 8, 5, 3, 1),
    (88, 78, 68, 58, 48, 38, 30, 23, 17, 12, 8, 5, 3, 1),
    (88, 78, 68, 58, 48, 38, 30, 23, 17, 13, 9, 6, 4, 2, 1),
    (88, 78, 68, 58, 48, 38, 30, 23, 17, 13, 10, 7, 5, 3, 2, 1),
    (88, 78, 68, 59, 50, 41, 33, 26, 20, 15, 11, 8, 6, 4, 3, 2, 1),
    (88, 78, 68, 59, 50, 42, 34, 27, 21, 16, 12, 9, 7, 5, 4, 3, 2, 1),
    (88, 78, 68, 59, 50, 42, 34, 27, 21, 17, 13, 10, 8, 6, 5, 4, 3, 2, 1),
)
"""Chen et al. 2024 (arXiv:2405.11326), for SD 1.5 with their coefficient 1.20, 2 to 20 steps.

The levels between the first and the last, in hundredths of the network's time 0 ... 999; the
authors print their sigmas, which these give to within 3e-5.
"""
