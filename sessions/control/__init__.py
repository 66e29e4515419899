"""Control over REST: sessions, agents and turns, for programs that watch and steer what clients talk about."""
