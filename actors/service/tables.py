"""List the tables of the control plane, each with the number that stands in its keys.

A number is never used again for another table. Every owner, a tenant or the operator, has each
table for himself; what the operator's holds is told in brackets.
"""

from __future__ import annotations

SEQUENCES = 0  # the last number of each table with numbered rows

TABLES = {
    "tenants": 1,  # [what each tenant is]
    "keys": 2,  # keys of the API, without their secrets
    "key_owners": 3,  # [which tenant a key belongs to]
    "users": 4,
    "flows": 5,
    "versions": 6,
    "drafts": 7,
    "groups": 8,
    "shares": 9,
    "schedules": 10,
    "jobs": 11,
    "audit": 12,  # entries by number
    "audit_heads": 13,  # the last entry's number and hash
    "idempotency": 14,  # responses by route and key
    "settings": 15,
    "segments": 16,
    "content": 17,
    "coupons": 18,
    "providers": 19,
    "uploads": 20,
    "exports": 21,
    "audiences": 22,
    "webhooks": 23,
    "catalogue": 24,  # which events and fields a tenant expects
    "suppressions": 25,
    "links": 26,
    "quotas": 27,
    "idempotency_due": 28,  # when responses expire, in that order
    "templates": 29,  # flows that were saved as templates
    "job_documents": 30,  # what jobs that wait are to work on
    "erasures": 31,  # who was erased, by the place in the ledger alone
    "forgetting": 32,  # erasures that have not reached audiences and runs, by the id's hash
}

NAMES = {number: name for name, number in TABLES.items()}
