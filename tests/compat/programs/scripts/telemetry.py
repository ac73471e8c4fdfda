"""Prints the instrumentors that OpenTelemetry loaded under opentelemetry-instrument."""

import requests
from opentelemetry import propagate, trace
from opentelemetry.instrumentation.requests import RequestsInstrumentor

print(type(trace.get_tracer_provider()).__qualname__)
print([type(one).__qualname__ for one in propagate.get_global_textmap()._propagators])
print(RequestsInstrumentor().is_instrumented_by_opentelemetry, requests.Session.send.__module__)
