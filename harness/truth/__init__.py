"""Pure judgement: wire arithmetic, proof, statistics."""
