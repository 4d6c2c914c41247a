"""What the REST API takes and gives, one file per resource. The OpenAPI document and the UI types are made from these.

Times are RFC 3339 in UTC; lengths of time are seconds.
"""
