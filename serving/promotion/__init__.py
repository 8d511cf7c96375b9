"""Moving an environment from one model version to another: switched, recorded, and taken back if need be."""

from serving.promotion.promotion import Outcome as Outcome
from serving.promotion.promotion import Request as Request
from serving.promotion.promotion import promote as promote
from serving.promotion.promotion import recover_all as recover_all
from serving.promotion.promotion import rollback as rollback
from serving.promotion.tools import Tools as Tools
from serving.promotion.tools import opened as opened
