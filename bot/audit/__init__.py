"""Events worth keeping, and the hash chain over them."""
