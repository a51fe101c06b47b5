"""The catalog: the only mutable truth. Stores hold immutable blobs; the catalog says what they mean."""
