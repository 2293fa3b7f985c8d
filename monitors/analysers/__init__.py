"""Programs that analyse source, behind `polydraft.monitors.analysis.Analyser`."""
