"""Belief from the data alone: certificates of programs, of infeasibility, and of the gap of an answer."""

from eqsolve.certificates.bound import RigorousBound, rigorous_bound
from eqsolve.certificates.certify import certify
from eqsolve.certificates.direction import DirectionCertificate, check_direction
from eqsolve.certificates.farkas import FarkasCertificate, check_farkas, find_farkas
from eqsolve.certificates.gap import Bound, Concept, GapCertificate, Method, Witness
from eqsolve.certificates.program_certificate import ProgramCertificate
from eqsolve.certificates.residuals import Residual, primal_residual

__all__ = [
    "Bound",
    "Concept",
    "DirectionCertificate",
    "FarkasCertificate",
    "GapCertificate",
    "Method",
    "ProgramCertificate",
    "Residual",
    "RigorousBound",
    "Witness",
    "certify",
    "check_direction",
    "check_farkas",
    "find_farkas",
    "primal_residual",
    "rigorous_bound",
]
