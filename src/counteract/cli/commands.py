"""Registers every command of `counteract`."""
