"""What the operator looks at: status, why, reports."""
