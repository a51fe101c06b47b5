"""A check per client. A module here is found by being here."""
