"""How good a model is: judges trained on real drawings, and the figures that they give.

From the bottom up: ``features`` looks at pictures, ``figures`` counts, ``soften`` wears drawings,
``reals`` draws what the ``judges`` learn from, ``asks`` says what is asked of a model and ``paint``
has it painted; ``verdicts`` are what the judges say of a picture, ``rows`` the figures of many, and
``ceilings`` those of real drawings; ``evaluation`` puts them together and ``page`` shows it.
"""
