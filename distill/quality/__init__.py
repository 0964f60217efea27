"""The Q curve: knowledge quality of a layer (`knowledge_quality`) and of a whole model (`score`)."""

from distill.data.splits import stratified_sample
from distill.quality.key import digest
from distill.quality.metric import KnowledgeQuality, knowledge_quality
from distill.quality.passes import Marked
from distill.quality.scoring import score

__all__ = ["KnowledgeQuality", "Marked", "digest", "knowledge_quality", "score", "stratified_sample"]
