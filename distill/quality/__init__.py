"""The Q curve: knowledge quality of a layer (`knowledge_quality`) and of a whole model (`score`)."""

from distill.quality._metric import KnowledgeQuality, knowledge_quality

__all__ = ["KnowledgeQuality", "knowledge_quality"]
