"""The audit log: who changed what, in an order that nobody can change unseen.

``deeds`` says what an action is, ``masking`` what may be written of its parameters, ``chain`` how entries are linked,
``log`` keeps and reads them.
"""
