"""No sequence of calls by one tenant reads, lists, infers or changes anything of another's.

python -m conformance.isolation [--sequences 10000] [--seed 1] [--calls 8]

Random calls by the principals of tenant ``alpha``, over both doors, are played to two worlds at once. In both alpha
has the same; in one the other tenant has secrets, in the other almost nothing of that. After each call:

- both worlds must have answered alike, but for times and ids that are made up: else alpha could infer something;
- no answer has in it a secret that alpha did not send;
- what the other tenant has must be what it was, row by row.

By design are left out: names of buckets are taken or free, as in S3 (both worlds have the names that alpha tries);
e-mail addresses and canonical IDs, which whoever knows them may name in an ACL; timing.
"""
