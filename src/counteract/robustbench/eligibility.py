"""A reservation, printed wherever RobustBench and a defence of this package meet."""

NOT_ELIGIBLE = (
    "Defences of this package are API-compatible with RobustBench, not eligible for its leaderboard: they draw at "
    "random and use gradients at inference, which it rejects, and for which its AutoAttack is no measure."
)
