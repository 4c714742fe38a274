"""Defences that are known to be broken, and controls that are not: plug-ins of a page that use the public door alone.

    cd eval && counteract audit --dataset digits --model digits-resnet-iat --defence broken.jpeg:make

Each module's docstring says in four fields, which `about.py` reads, where the defence comes from (`Source`), what it
claimed, what is known, and what breaks it. Figures marked (M) are from memory, not read in the source.
"""
