from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from orchestrator_site import documentation, views

urlpatterns = [
    path("", views.RootView.as_view(), name="root"),
    path("", include("tasks.api.urls")),
    path("health", views.HealthView.as_view(), name="health"),
    path("ready", views.ReadyView.as_view(), name="ready"),
    path("metrics", views.MetricsView.as_view(), name="metrics"),
    path("schema", documentation.SchemaView.as_view(), name="schema"),
    path("docs", documentation.DocsView.as_view(url_name="schema"), name="docs"),
    path("admin", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
]

handler400 = "orchestrator_site.problems.bad_request"
handler403 = "orchestrator_site.problems.forbidden"
handler404 = "orchestrator_site.problems.not_found"
handler500 = "orchestrator_site.problems.server_error"
