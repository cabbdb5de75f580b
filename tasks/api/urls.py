from django.urls import path

from tasks.api.views import SubmitView, TaskView

urlpatterns = [
    path("submit", SubmitView.as_view(), name="submit"),
    # Any text, so that an id that is not a UUID gets the same 404 as an unknown id.
    path("tasks/<str:task_id>", TaskView.as_view(), name="task"),
]
