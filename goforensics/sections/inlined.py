"""The nodes of all inline trees that their blobs have room for: every copy of a function in another one's code.

Source of truth: Go's cmd/link/internal/ld/pcln.go (genInlTreeSym), src/runtime/symtabinl.go.
"""

from __future__ import annotations

import numpy as np

from goforensics.sections import funcdata, inltree
from goforensics.sections.inltree import InlTree
from goforensics.sections.protocol import Parser, Source


def decode(source: Source) -> InlTree:
    """Every node, by function and index: a function's are numbered from 0 without a gap.

    FormatError if there is no pclntab, or nothing says where its function data begins.
    """
    trees, blobs = source.read(inltree.PARSER), source.read(funcdata.PARSER)
    size = np.zeros(len(trees.tree), np.int64)
    mine = blobs.kind[blobs.blob] == funcdata.TREE
    size[blobs.owner[mine]] = blobs.size[blobs.blob[mine]]
    return trees.nodes(np.minimum(size // trees.shape.size, trees.count))


PARSER = Parser("inltree.nodes", decode)
