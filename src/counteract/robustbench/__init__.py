"""The optional extra `robustbench`, fenced in: the zoo's networks, imports that work, and AutoAttack as it calls it."""
