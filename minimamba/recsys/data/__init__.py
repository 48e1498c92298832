"""From an interaction log in a file to sequences to train on; nothing here knows of a model.

readers -> formats -> prepare -> dataset, which `open_dataset` goes through; `windows` cuts what a
batch needs, `synthetic` makes a log whose best possible score is known, `titles` names its items.
"""
