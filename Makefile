.PHONY: serve test

serve:
	./run serve

test:
	./run test
