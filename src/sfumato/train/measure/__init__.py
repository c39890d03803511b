"""How good a model is: judges trained on real drawings, and the figures that they give.

From the bottom up: ``features`` looks at pictures, ``figures`` counts, ``reals`` draws what the
``judges`` learn from, ``asks`` says what is asked of a model and ``paint`` has it painted;
``evaluation`` puts them together and ``page`` shows it.
"""
