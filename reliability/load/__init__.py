"""A thousand clients, few of them well-behaved: does the gateway stay calm, and fair, and lose nothing?"""
