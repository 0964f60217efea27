"""The Q curve: knowledge quality of a layer (`knowledge_quality`) and of a whole model (`score`).

Where the published code of arXiv 2511.14981 gives NaN, or 0 in place of a NaN, our values follow from the definitions:

* D < n_c (a class with more samples than features have values, e.g. D = 10 and 20 samples a class): H is the entropy of
  the D eigenvalues, since an eigenvalue of 0 adds nothing (0 ln 0 = 0). Published: H = I = 0 and Q = S. Its table of
  spectra has n_c columns; the zeros beyond D become 1e-127, which is 0 in float32, so that 0 ln 0 is NaN, and the NaN
  of the class becomes 0. Gaussian features of 10 classes, 20 samples each, D = 10: ours H = 2.0, published 0; with
  D >= n_c both agree.
* Classes of different sizes: the same for each by itself. Published: H_c = 0 of every class that is smaller than the
  largest, for the same reason, where D is not smaller still.
* A dead sample (norm 0): its similarity to every sample, itself included, is 0, since it points nowhere and shares no
  direction with any. So m of its class is 0, and S, I and Q are finite. Published: 0 / 0, so S, I, m and Q of the whole
  layer are NaN.
* A class without spread, or with one sample: H_c = 0, since there is nothing to tell apart. Published: 0, from 0 / 0 by
  way of NaN, without spread; an exception for one sample, which has no pair.
* Every feature 0: S = I = E = Q = 0, the layer holds nothing. Published: NaN, from 0 / 0 in S, I and E.
"""

from distill.data.splits import stratified_sample
from distill.quality.key import digest
from distill.quality.metric import KnowledgeQuality, knowledge_quality
from distill.quality.passes import Marked
from distill.quality.scoring import score

__all__ = ["KnowledgeQuality", "Marked", "digest", "knowledge_quality", "score", "stratified_sample"]
