from django.urls import path

from tasks.api.views import (
    CancelView,
    ClientView,
    EventListView,
    SubmitView,
    TaskListView,
    TaskView,
)

urlpatterns = [
    path("submit", SubmitView.as_view(), name="submit"),
    path("tasks", TaskListView.as_view(), name="tasks"),
    # Any text, so that an id that is not a UUID gets the same 404 as an unknown id.
    path("tasks/<str:task_id>", TaskView.as_view(), name="task"),
    path("tasks/<str:task_id>/cancel", CancelView.as_view(), name="cancel"),
    path("tasks/<str:task_id>/events", EventListView.as_view(), name="events"),
    path("client", ClientView.as_view(), name="client"),
]
