"""Snapshots: datasets in folders of Arrow files, verified by digest, read where they lie."""
