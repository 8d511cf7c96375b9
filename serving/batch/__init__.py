"""Batch scoring: a model version over Parquet, an mbox or a folder of messages, on Ray, part by part."""
