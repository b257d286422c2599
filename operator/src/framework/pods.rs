//! Why pods are not ready, in words that say what to do.

use api::Reason;
use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Pod};
use kube::ResourceExt;

/// What keeps a pod from being ready, when more than time is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PodTrouble {
    pub(crate) reason: Reason,
    /// Names the pod and the cause.
    pub(crate) message: String,
}

/// The trouble of the first pod that has any. Pods that are going away do not count.
pub(crate) fn trouble_of<'a>(pods: impl IntoIterator<Item = &'a Pod>) -> Option<PodTrouble> {
    pods.into_iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).find_map(trouble)
}

fn trouble(pod: &Pod) -> Option<PodTrouble> {
    let status = pod.status.as_ref()?;
    let unscheduled = status.conditions.iter().flatten().find(|condition| {
        condition.type_ == "PodScheduled"
            && condition.status == "False"
            && condition.reason.as_deref() == Some("Unschedulable")
    });
    if let Some(condition) = unscheduled {
        let cause = condition.message.as_deref().unwrap_or("no node can take it");
        return Some(PodTrouble {
            reason: Reason::Unschedulable,
            message: format!("pod {} cannot be scheduled: {cause}", pod.name_any()),
        });
    }
    let init = status.init_container_statuses.iter().flatten();
    init.chain(status.container_statuses.iter().flatten()).find_map(|container| container_trouble(pod, container))
}

fn container_trouble(pod: &Pod, container: &ContainerStatus) -> Option<PodTrouble> {
    let state = container.state.as_ref()?;
    if let Some(waiting) = &state.waiting {
        let reason = match waiting.reason.as_deref()? {
            "ErrImagePull" | "ImagePullBackOff" | "InvalidImageName" | "ErrImageNeverPull" | "ImageInspectError" => {
                Reason::ImagePullFailed
            }
            "CrashLoopBackOff" => return Some(crash(pod, container)),
            "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => {
                Reason::ContainerConfigInvalid
            }
            _ => return None,
        };
        let cause = waiting.message.as_deref().or(waiting.reason.as_deref()).unwrap_or_default();
        let message = match reason {
            Reason::ImagePullFailed => {
                format!("pod {} cannot get the image {}: {cause}", pod.name_any(), container.image)
            }
            _ => format!("pod {} cannot start the container {}: {cause}", pod.name_any(), container.name),
        };
        return Some(PodTrouble { reason, message });
    }
    let failed = state.terminated.as_ref().is_some_and(|ended| ended.exit_code != 0);
    failed.then(|| crash(pod, container))
}

fn crash(pod: &Pod, container: &ContainerStatus) -> PodTrouble {
    let ended = |state: &Option<ContainerState>| state.as_ref().and_then(|state| state.terminated.clone());
    let how = ended(&container.state).or_else(|| ended(&container.last_state)).map_or_else(String::new, |ended| {
        let cause = ended.message.or(ended.reason).unwrap_or_default();
        format!(" with exit code {} ({})", ended.exit_code, cause.trim())
    });
    PodTrouble {
        reason: Reason::CrashLooping,
        message: format!(
            "container {} of pod {} ended{how} and was started {} times: see its logs",
            container.name,
            pod.name_any(),
            container.restart_count + 1,
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(status: &Value) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "green-catalog-0"}, "status": status})).unwrap()
    }

    fn container(state: &Value, restarts: i32) -> Value {
        json!({"containerStatuses": [{
            "name": "service", "image": "shop:1", "imageID": "", "ready": false, "restartCount": restarts, "state": state,
        }]})
    }

    fn reason_and_message(status: &Value) -> Option<(Reason, String)> {
        trouble_of([&pod(status)]).map(|trouble| (trouble.reason, trouble.message))
    }

    #[test]
    fn an_image_that_cannot_be_pulled_is_named() {
        let waiting = json!({"waiting": {"reason": "ImagePullBackOff", "message": "not found"}});
        assert_eq!(
            reason_and_message(&container(&waiting, 0)),
            Some((Reason::ImagePullFailed, "pod green-catalog-0 cannot get the image shop:1: not found".to_owned()))
        );
    }

    #[test]
    fn a_crash_tells_the_exit_code() {
        let ended = json!({"terminated": {"exitCode": 3, "reason": "Error"}});
        let (reason, message) = reason_and_message(&container(&ended, 1)).unwrap();
        assert_eq!(reason, Reason::CrashLooping);
        assert_eq!(
            message,
            "container service of pod green-catalog-0 ended with exit code 3 (Error) and was started 2 times: see its logs"
        );
    }

    #[test]
    fn an_unschedulable_pod_tells_what_the_scheduler_says() {
        let status = json!({"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/2 nodes"}]});
        assert_eq!(
            reason_and_message(&status),
            Some((Reason::Unschedulable, "pod green-catalog-0 cannot be scheduled: 0/2 nodes".to_owned()))
        );
    }

    #[test]
    fn starting_running_and_leaving_pods_are_no_trouble() {
        assert_eq!(reason_and_message(&container(&json!({"waiting": {"reason": "ContainerCreating"}}), 0)), None);
        assert_eq!(reason_and_message(&container(&json!({"running": {}}), 4)), None);
        assert_eq!(reason_and_message(&container(&json!({"terminated": {"exitCode": 0}}), 0)), None);
        let mut leaving = pod(&container(&json!({"waiting": {"reason": "ErrImagePull"}}), 0));
        leaving.metadata.deletion_timestamp = Some(serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap());
        assert_eq!(trouble_of([&leaving]), None);
    }
}
